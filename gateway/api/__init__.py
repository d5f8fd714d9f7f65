"""What other programs talk to: the native REST protocol, its errors and its documentation."""
