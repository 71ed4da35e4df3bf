"""Publishing: a verified artifact becomes a version, and versions of steps become a release."""
