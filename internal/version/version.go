// Package version has the number of this release, for all that says it: the
// instrumentation scope of the spans, and the live page.
package version

// Version is the version of this module, without the v of its tag.
const Version = "0.1.0"
