"""What a teacher hands out, made of the chapters: worksheets with solutions, slides, one-page summaries."""
