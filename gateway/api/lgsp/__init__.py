"""The provincial protocol (LGSP, as the axis of Lạng Sơn speaks it) over the same use cases."""
