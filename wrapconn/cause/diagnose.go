package cause

// Undetermined is the slug of a failure that no rule fits.
const Undetermined Slug = "undetermined"

// Diagnose names the cause that the evidence shows.
func Diagnose(e *Evidence) Diagnosis {
	return Diagnosis{Slug: Undetermined, Severity: Error}
}
