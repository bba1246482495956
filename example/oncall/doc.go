// Package oncall has twenty failures, provoked on real servers, and collects what a
// person on call sees of each: docs/what-you-see.md.
package oncall
