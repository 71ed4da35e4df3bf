"""Tests of monitoring: a package, so that a fixture of the scope "package" ends with them."""
