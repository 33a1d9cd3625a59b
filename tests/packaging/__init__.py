"""What pip builds and installs."""
