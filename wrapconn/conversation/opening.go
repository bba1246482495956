package conversation

import "github.com/seqguard/mysql-seqguard/wrapconn/cause"

// opening is what a client said first, of which it is known what it speaks.
type opening struct {
	first [cause.OpeningLen]byte
	said  uint8 // bytes of first; more than there are: it was a login, and is forgotten
}

func (o *opening) take(p []byte) {
	if int(o.said) < len(o.first) {
		o.said += uint8(copy(o.first[o.said:], p))
	}
}

// packet says that the client has sent one. If it may be a login, its bytes are not
// kept: one of before MySQL 4.1 has a credential in them. It reports whether that is
// MySQL's and has a wrong number. (COM_QUIT, in whose place nothing is due, has none.)
func (o *opening) packet() (misnumbered bool) {
	if int(o.said) > len(o.first) || o.speaks(true) != "" {
		return false
	}
	b := o.first[:o.said]
	misnumbered = cause.OfMySQL(b) && b[3] != 1 && b[0] != 1
	*o = opening{said: uint8(len(o.first)) + 1}
	return misnumbered
}

// speaks names the protocol, if it is not MySQL.
func (o *opening) speaks(complete bool) string {
	if int(o.said) > len(o.first) {
		return ""
	}
	return cause.ClientProtocol(o.first[:o.said], complete)
}
