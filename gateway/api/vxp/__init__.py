"""The national kit's protocol (VXP): existing eOffice software is pointed here by its endpoint alone (domain §2.1)."""
