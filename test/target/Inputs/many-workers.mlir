// Three times x <- n / (1 + |n|), n = x (x^T x): every worker needs what all the
// others made, and may not overwrite what they still read.
#left = affine_map<(d0, d1, d2) -> (d2, d0)>
#right = affine_map<(d0, d1, d2) -> (d2, d1)>
#rows = affine_map<(d0, d1, d2) -> (d0, d2)>
#out = affine_map<(d0, d1, d2) -> (d0, d1)>
#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @main(%x: tensor<?x48xf32> {hr.name = "x", hr.dims = [#hr.size<"s0">, #hr.size<"48">]})
    -> (tensor<?x48xf32> {hr.name = "y", hr.dims = [#hr.size<"s0">, #hr.size<"48">]})
    attributes {hr.symbols = [#hr.symbol<"s0", 1, 1048576>]} {
  %zero = arith.constant 0.0 : f32
  %y = hr.repeat 3 (%x) : (tensor<?x48xf32>) -> tensor<?x48xf32> {
  ^bb0(%i: index, %c: tensor<?x48xf32>):
    %n = hr.size #hr.size<"s0">
    %eg = tensor.empty() : tensor<48x48xf32>
    %fg = linalg.fill ins(%zero : f32) outs(%eg : tensor<48x48xf32>) -> tensor<48x48xf32>
    %g = linalg.generic {indexing_maps = [#left, #right, #out], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%c, %c : tensor<?x48xf32>, tensor<?x48xf32>) outs(%fg : tensor<48x48xf32>) {
    ^bb0(%p: f32, %q: f32, %o: f32):
      %m = arith.mulf %p, %q : f32
      %s = arith.addf %o, %m : f32
      linalg.yield %s : f32
    } -> tensor<48x48xf32>
    %en = tensor.empty(%n) : tensor<?x48xf32>
    %fn = linalg.fill ins(%zero : f32) outs(%en : tensor<?x48xf32>) -> tensor<?x48xf32>
    %r = linalg.generic {indexing_maps = [#rows, #right, #out], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%c, %g : tensor<?x48xf32>, tensor<48x48xf32>) outs(%fn : tensor<?x48xf32>) {
    ^bb0(%p: f32, %q: f32, %o: f32):
      %m = arith.mulf %p, %q : f32
      %s = arith.addf %o, %m : f32
      linalg.yield %s : f32
    } -> tensor<?x48xf32>
    %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
        ins(%r : tensor<?x48xf32>) outs(%en : tensor<?x48xf32>) {
    ^bb0(%p: f32, %o: f32):
      %one = arith.constant 1.0 : f32
      %a = math.absf %p : f32
      %b = arith.addf %a, %one : f32
      %d = arith.divf %p, %b : f32
      linalg.yield %d : f32
    } -> tensor<?x48xf32>
    hr.yield %z : tensor<?x48xf32>
  }
  return %y : tensor<?x48xf32>
}
