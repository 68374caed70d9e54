package boardstest_test

import (
	"errors"
	"slices"
	"testing"

	"emberwing/boards"
	"emberwing/boards/boardstest"
)

func TestFakeKeepsContract(t *testing.T) {
	boardstest.TestOutput(t, func(*testing.T) (boards.StatusOutput, func() bool) {
		o := &boardstest.Output{}
		return o, o.On
	})
}

func TestFakeRemembersAndFails(t *testing.T) {
	var o boardstest.Output
	broken := errors.New("wire off")
	_ = o.Set(true)
	o.Fail(broken)
	if err := o.Set(false); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	o.Fail(nil)
	_ = o.Close()
	if got, want := o.Levels(), []bool{true, false}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
