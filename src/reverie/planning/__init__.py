"""Planning with exact physics or fitted models: problems, costs, planners, and the policies that follow plans."""
