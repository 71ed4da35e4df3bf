"""Envoy in front of Triton: TLS, tokens, scopes, limits, plain REST, and several servers."""
