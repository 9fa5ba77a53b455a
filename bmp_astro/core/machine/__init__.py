"""What this machine has for a run: cores, threads, memory, and room on the disk."""
