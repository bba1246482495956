// Package cost holds tests of what the guard costs and must not cost: system
// calls, allocations, memory. Figures of time are in bench/.
package cost
