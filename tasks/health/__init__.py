"""Is everything here that fenqun needs? Packages, the machine, the state folder, servers."""
