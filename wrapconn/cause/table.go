package cause

import "slices"

// rules is the table. The first row that fits names the cause, so the order is
// part of the knowledge: what the server said outright comes before what
// follows from it, and a narrow picture before a wide one.
var rules = slices.Concat(
	heldRules,      // nothing has failed: who keeps connections from others
	abandonedRules, // this side gave up
	clientRules,    // the client's own end, seen by others
	unowedRules,    // a read to which nothing is owed
	greetingRules,  // the peer's first bytes
	loginRules,     // between greeting and the end of the login
	farewellRules,  // the server ended the connection of its own accord
	ownershipRules, // who used the connection
	staleRules,     // an answer that may belong to another question
	sendingRules,   // what this side sent did not arrive as it left
	answerRules,    // what came back breaks off or breaks the protocol
	[]rule{unknown},
)
