"""From sound to text: windows of sound, the rules of their tokens, segments with times."""
