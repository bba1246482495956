// Package truth puts the names that are given to the test of real life: faults of many kinds happen to real servers at random, beside
// each other and at once, and each report is judged by what the test knows it did.
//
// A report is right if it names what happened, vague if it says what the connection saw and names what happened among what it may have
// been, in its sentences, and wrong otherwise. Wrong must be none.
package truth
