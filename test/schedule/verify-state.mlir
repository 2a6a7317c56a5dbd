// RUN: headrace-opt %s --sched-verify -split-input-file -verify-diagnostics

sched.program @state_1 of @state workers 1 {
  %x = buffer input 0 [8] f32
  %s = buffer state [@s] [8] f32
  %y = buffer output 0 [8] f32
  stage @A grid [8] operands [read (d0) -> (d0) by [1], write (d0) -> (d0) by [1]]
  timeline @core[w : 1] {
    // expected-note @+1 {{writes}}
    run @A tiles [0, 8) (%x -> %s)
    // expected-error @+1 {{reads %state [0, 8) after 'run @A tiles [0, 8) of @core[0]' wrote it; state is read back only where it says so}}
    run @A tiles [0, 8) (%s -> %y)
  }
}

// -----

sched.program @read_back_1 of @read_back workers 1 {
  %x = buffer input 0 [8] f32
  %s = buffer state [@s] [8] f32 read_back
  %y = buffer output 0 [8] f32
  stage @A grid [8] operands [read (d0) -> (d0) by [1], write (d0) -> (d0) by [1]]
  timeline @core[w : 1] {
    run @A tiles [0, 8) (%x -> %s)
    run @A tiles [0, 8) (%s -> %y)
  }
}
