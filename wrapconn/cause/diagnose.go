package cause

// Undetermined is the slug of a failure that no rule fits.
const Undetermined Slug = "undetermined"

// Diagnose names the cause that the evidence shows.
func Diagnose(e *Evidence) Diagnosis {
	return Diagnosis{Slug: Undetermined, Severity: Error}
}

// DocURL is where a cause is described.
func DocURL(s Slug) string {
	return "https://github.com/seqguard/mysql-seqguard/blob/main/docs/causes.md#" + string(s)
}
