// RUN: not hrcc %s --target=generic-x86-64-v3 --emit=schedule -o - 2>&1 | FileCheck %s

// A size whose coefficients do not fit is unknown: nothing is proved of it, and no
// buffer is made for it.

// CHECK: error: {{.*}}dimension '?' has no value
func.func @main(%x: tensor<?xf32> {hr.name = "x", hr.dims = [#hr.size<"s0">]})
    -> (tensor<?xf32> {hr.name = "y", hr.dims = [#hr.size<"?">]}) attributes {hr.symbols = [#hr.symbol<"s0", 1, 100>]} {
  %r = hr.view %x at [#hr.size<"0">] map affine_map<(d0) -> (0)> dims [#hr.size<"?">] : tensor<?xf32> to tensor<?xf32>
  %n = hr.size #hr.size<"?">
  %e = tensor.empty(%n) : tensor<?xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%r : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%p: f32, %o: f32):
    %q = arith.negf %p : f32
    linalg.yield %q : f32
  } -> tensor<?xf32>
  return %a : tensor<?xf32>
}
