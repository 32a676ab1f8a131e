module loadstar.dev/tests/cluster/go/pause

go 1.26.0
