package cause

// Ownership is how a use of the connection conflicts with its owner's.
type Ownership uint8

const (
	OwnershipNone         Ownership = iota
	OwnershipOverlap                // two operations inside at once
	OwnershipInterleaving           // a command while a result is still open
	OwnershipOutside                // a read or write outside any operation
)

var ownershipNames = [...]string{"none", "overlap", "interleaving", "outside any operation"}

func (o Ownership) String() string {
	if int(o) < len(ownershipNames) {
		return ownershipNames[o]
	}
	return "invalid ownership"
}
