package session

// Direction says which side sent a packet.
type Direction uint8

const (
	FromServer Direction = iota
	FromClient
)

func (d Direction) String() string {
	if d == FromClient {
		return "client→server"
	}
	return "server→client"
}

// Distance is how far got lies behind expected, as sequence ids count: modulo
// 256, between -128 and 127. Of an ERR packet it is the number of client
// packets that the server had not consumed when it gave up
// (sql-common/net_serv.cc keeps one counter for both directions).
func Distance(expected, got uint8) int { return int(int8(expected - got)) }
