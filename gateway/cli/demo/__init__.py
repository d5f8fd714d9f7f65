"""
The demonstration: three gateways as processes, agencies' systems around them, real packages on their way.

``places`` sets the gateways up, ``mail`` makes what is sent, ``systems`` are the agencies, ``receiver`` is
the process that a department is called at, ``watch`` follows it all, ``judge`` says what is missing.
"""
