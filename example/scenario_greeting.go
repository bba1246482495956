package main

var refused = scenario{
	name:  "refused",
	title: "The server is full and says so in place of its greeting.",
	fault: func(*target) fault { return fault{instead: says(errPacket(0, 1040, "", "Too many connections"))} },
	run:   ping,
}

var notMySQL = scenario{
	name:  "not-mysql",
	title: "The port belongs to a web server, whose proxy has lost patience.",
	fault: func(*target) fault {
		return fault{instead: says([]byte("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"))}
	},
	run: ping,
}

// says is a peer that says one thing and then only listens.
func says(b []byte) func(*link) {
	return func(l *link) { l.send(b) }
}
