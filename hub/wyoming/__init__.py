"""The Wyoming protocol: the hub's services for Home Assistant and others, and the satellites that the hub drives."""
