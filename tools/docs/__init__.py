"""The manual as a static site, and the check of the links in the tree's Markdown pages."""
