"""The ground every room stands on: errors, files, progress, the project's folders."""
