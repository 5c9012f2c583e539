"""Pictures and tables of what models do: on a terminal, as images, as pages."""
