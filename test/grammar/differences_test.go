package grammar_test

// difference is a case in which the driver and the guard may disagree.
type difference struct {
	name  string
	why   string
	holds func(c *comparison) bool
}

var differences = []difference{}
