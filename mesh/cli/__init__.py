"""`hazina`: what a person does with a mesh, on the command line."""
