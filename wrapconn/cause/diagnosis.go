package cause

// Slug names a cause. It is stable: dashboards and alerts may depend on it.
type Slug string

// Severity is how bad a failure is, and whose it is.
type Severity uint8

const (
	// Notice: nothing is wrong with the protocol. The peer ended an idle
	// connection, or the application gave an operation up.
	Notice Severity = iota
	// Error: this operation failed.
	Error
	// Misuse: the application used the connection in a way it must not.
	Misuse
	// DataIntegrity: an answer would have gone, or may have gone, to the wrong
	// question.
	DataIntegrity
)

var severityNames = [...]string{"notice", "error", "misuse", "data_integrity"}

func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return "invalid severity"
}

// Executed is whether the server ran the statement.
type Executed uint8

const (
	ExecutedUnknown Executed = iota
	ExecutedNo
	ExecutedYes
)

var executedNames = [...]string{"unknown", "no", "yes"}

func (x Executed) String() string {
	if int(x) < len(executedNames) {
		return executedNames[x]
	}
	return "invalid executed"
}

// Diagnosis is a cause with the facts of one case filled in.
type Diagnosis struct {
	Slug     Slug
	Severity Severity
	Title    string // what it is, in a few words
	// Explanation says what happened, with this case's facts.
	Explanation string
	// Advice says what to do, with the setting to change.
	Advice string
	// Do is the advice in one short sentence, for an error line.
	Do       string
	Executed Executed
	// RetrySafe: running the operation again cannot run it twice.
	RetrySafe bool
	// Lost: a transaction was open on the connection, and ended with it.
	Lost bool
	// Standing: nothing has failed, the report is about a state. There is no
	// statement of which Executed and RetrySafe could tell.
	Standing bool
	// Alternatives are causes that the evidence does not exclude.
	Alternatives []Slug
}

// Retry returns RetrySafe, and whether a retry makes sense at all. It does not for
// a misuse, which would only fail again, and if nothing has failed. Texts do not
// mention a retry then.
func (d *Diagnosis) Retry() (safe, applies bool) {
	return d.RetrySafe, d.Severity != Misuse && !d.Standing
}
