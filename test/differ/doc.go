// Package differ runs seeded sequences of operations on two pools, the plain driver's and a guarded one, and compares all that an
// application can see of them: values, types, errors, results, and the state of the pool.
package differ
