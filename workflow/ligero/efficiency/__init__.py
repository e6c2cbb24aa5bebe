"""What a system costs: parameters, multiply-accumulate operations (MACs), bytes on disk, latency."""
