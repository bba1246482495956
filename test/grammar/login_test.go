package grammar_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"sync"

	"github.com/seqguard/mysql-seqguard/internal/mysqltest"
)

// publicKey is what a server sends to a client that wants to encrypt its password.
var publicKey = sync.OnceValue(func() []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return append([]byte{1}, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
})

var plugins = []string{"mysql_native_password", "caching_sha2_password", "sha256_password", "mysql_clear_password", "dialog", "mysql_old_password", ""}

// login makes a login that a server may lead, and then breaks some of it.
func (d *dice) login(on dialect) [][]packet {
	plugin := plugins[d.roll(len(plugins))]
	var segments [][]packet
	s := script{dialect: on}
	hear := func() { // the client answers
		segments = append(segments, s.out)
		s.out, s.seq = nil, s.seq+1
	}
	s.say(on.greeting(plugin))
	hear()
	for range d.roll(3) {
		plugin = plugins[d.roll(len(plugins))]
		s.say([]byte("\xfe" + plugin + "\x00abcdefghijklmnopqrst\x00"))
		hear()
	}
	switch {
	case plugin == "caching_sha2_password" && d.one(2, 3):
		if d.one(1, 2) {
			s.say([]byte{1, 3})
			break
		}
		s.say([]byte{1, 4})
		hear()
		s.say(publicKey())
		hear()
	case plugin == "sha256_password" && d.one(2, 3):
		s.say(publicKey())
		hear()
	}
	if d.one(1, 6) {
		s.say(mysqltest.ERRPayload(1045, "28000", "Access denied"))
	} else {
		s.say(okay(2))
	}
	segments = append(segments, s.out)
	for range d.roll(3) {
		d.mutate(on, segments)
	}
	return segments
}
