// RUN: headrace-opt %s --sched-simulate="target=generic-x86-64-v3 trace=%t.json" -o /dev/null | FileCheck %s
// RUN: %python -c "import json, sys; json.load(open(sys.argv[1]))" %t.json

// CHECK:      @rows_2 on {{.*}}, predicted: {{[0-9.]+}} ms
// CHECK:        @core[0]: busy {{[0-9.]+}} ms, stalled 0.000 ms
// CHECK-NEXT:   @core[1]: busy {{[0-9.]+}} ms, stalled 0.000 ms
// CHECK-NEXT:   A: {{[0-9.]+}} ms in 2 runs, bound by
// CHECK-NEXT:   B: {{[0-9.]+}} ms in 2 runs, bound by operations
sched.program @rows_2 of @rows workers 2 {
  %x = buffer input 0 [128, 384] f32
  %h = buffer temp [128, 1536] f32
  %y = buffer output 0 [128, 384] f32
  stage @A grid [8] operands [read (d0) -> (d0 * 16, 0) by [16, 384],
    write (d0) -> (d0 * 16, 0) by [16, 1536]]
  stage @B grid [8] operands [read (d0) -> (d0 * 16, 0) by [16, 1536],
    write (d0) -> (d0 * 16, 0) by [16, 384]] flops 1000000000
  timeline @core[w : 2] {
    run @A tiles [4 * w, 4 * w + 4) (%x -> %h)
    run @B tiles [4 * w, 4 * w + 4) (%h -> %y)
  }
}
