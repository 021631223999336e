"""What a reader sees: wording and charts, the sheet notebooks write on, the pages made of it, and their front page."""
