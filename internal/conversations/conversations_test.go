package conversations

import (
	"bytes"
	"testing"
)

func TestText(t *testing.T) {
	long := bytes.Repeat([]byte{'a'}, 1000)
	events := []Event{{Client: true, Bytes: []byte{1, 2, 3}}, {Bytes: append(append([]byte{9}, long...), 7, 7)}, {Bytes: long}, {End: true}}
	got, err := Parse(Format(events))
	if err != nil || len(got) != 4 || !bytes.Equal(got[1].Bytes, events[1].Bytes) || !got[3].End || !got[0].Client {
		t.Errorf("%s, %v", Format(events), err)
	}
	for _, bad := range []string{"? 00", "< 0", "< 00*x", "> 00*999999999"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
