"""Where runs of experiments are carried out, and the folder that keeps them."""
