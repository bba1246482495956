package cause

// rule is one row of the table: what the cause is called, by which signs it is
// recognised, and what is said about it.
type rule struct {
	slug     Slug
	severity Severity
	title    string
	// signs are the pictures that the cause can show. One is enough; all facts
	// of it must hold.
	signs    []sign
	explain  func(*Evidence) string
	advise   func(*Evidence) string
	executed func(*Evidence) Executed
	// titled returns the title of a picture that title is wrong about, or nothing; nil
	// if there is no such picture.
	titled func(*Evidence) string
	// others lists causes that look the same from here; nil if there are none.
	others func(*Evidence) []Slug
}

// sign is a picture: facts that hold together.
type sign []fact

// fact is one thing that can be read off the evidence.
type fact struct {
	is    string // completes "it would need that …"
	holds func(*Evidence) bool
	// guard: the fact only keeps look-alikes out. That it holds brings nobody
	// nearer to the cause.
	guard bool
}

func when(facts ...fact) []sign { return []sign{facts} }

func (s sign) fits(e *Evidence) bool {
	for i := range s {
		if !s[i].holds(e) {
			return false
		}
	}
	return true
}

func (r *rule) fits(e *Evidence) bool {
	for _, s := range r.signs {
		if s.fits(e) {
			return true
		}
	}
	return false
}

// missing returns the one fact for want of which s does not fit, and how many
// facts speak for it. ok is false if it wants more than one, if nothing speaks
// for it, or if a guard keeps it out.
func (s sign) missing(e *Evidence) (want string, held int, ok bool) {
	failed := 0
	for i := range s {
		switch {
		case !s[i].holds(e):
			if s[i].guard {
				return "", 0, false
			}
			failed++
			want = s[i].is
		case !s[i].guard:
			held++
		}
	}
	return want, held, failed == 1 && held > 0
}

// Slugs returns the names of all causes in the order in which [Diagnose] tries
// them: what a dashboard or an alert can be about.
func Slugs() []Slug {
	out := make([]Slug, len(rules))
	for i := range rules {
		out[i] = rules[i].slug
	}
	return out
}

// DocURL returns the address of what the documentation says about a cause.
func DocURL(s Slug) string {
	return "https://github.com/seqguard/mysql-seqguard/blob/main/docs/causes.md#" + string(s)
}
