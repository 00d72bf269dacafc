"""What the user's file is: telling formats apart, loading, input specs and the layer tree."""
