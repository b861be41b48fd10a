"""What leaves a run for other programs: its greedy policy, and its experience.

`program` turns a policy into simple steps, `fusing` shortens them, `onnx_file` and `array_file` write them, and
`policy_file` checks what was written against the policy itself. `reverie.policy` reads the plain arrays with NumPy alone.
`experience_file` writes transitions in the environment's units; `reverie.logs` reads them back.
"""
