"""Document-interconnection gateway (trục liên thông văn bản điện tử) for edXML packages."""

__version__ = "0.1.0"
