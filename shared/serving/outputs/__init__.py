"""From what models answer to what people understand: runs over rows, scores of classes, labels."""
