"""The parity gate before wrong artifacts: does it refuse every one that answers otherwise?"""
