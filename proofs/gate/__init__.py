"""The parity gate, tested with wrong artifacts: does it refuse each that answers differently?"""
