"""Other people's recommenders on our split, judged by our metric code; docs/peers.md tells what came out."""
