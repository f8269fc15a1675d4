"""What every page shares and no room owns: security headers and error pages."""
