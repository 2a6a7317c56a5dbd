// Two products, which are a stage each.
#id = affine_map<(d0, d1) -> (d0, d1)>
#lhs = affine_map<(d0, d1, d2) -> (d0, d2)>
#rhs = affine_map<(d0, d1, d2) -> (d2, d1)>
#out = affine_map<(d0, d1, d2) -> (d0, d1)>
func.func @main(
    %x: tensor<30x40xf32> {hr.name = "x", hr.dims = [#hr.size<"30">, #hr.size<"40">]},
    %a: tensor<40x50xf32> {hr.name = "a", hr.dims = [#hr.size<"40">, #hr.size<"50">]},
    %b: tensor<50x20xf32> {hr.name = "b", hr.dims = [#hr.size<"50">, #hr.size<"20">]},
    %c: tensor<30x20xf32> {hr.name = "c", hr.dims = [#hr.size<"30">, #hr.size<"20">]})
    -> (tensor<30x20xf32> {hr.name = "z", hr.dims = [#hr.size<"30">, #hr.size<"20">]})
    attributes {hr.symbols = []} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<30x50xf32>
  %f = tensor.empty() : tensor<30x20xf32>
  %e0 = linalg.fill ins(%zero : f32) outs(%e : tensor<30x50xf32>) -> tensor<30x50xf32>
  %f0 = linalg.fill ins(%zero : f32) outs(%f : tensor<30x20xf32>) -> tensor<30x20xf32>
  %y = linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %a : tensor<30x40xf32>, tensor<40x50xf32>) outs(%e0 : tensor<30x50xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %m = arith.mulf %p, %q : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<30x50xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y : tensor<30x50xf32>) outs(%e : tensor<30x50xf32>) {
  ^bb0(%p: f32, %o: f32):
    %k = arith.constant 0.0 : f32
    %m = arith.maximumf %p, %k : f32
    linalg.yield %m : f32
  } -> tensor<30x50xf32>
  %w = linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%r, %b : tensor<30x50xf32>, tensor<50x20xf32>) outs(%f0 : tensor<30x20xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %m = arith.mulf %p, %q : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<30x20xf32>
  %z = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%w, %c : tensor<30x20xf32>, tensor<30x20xf32>) outs(%f : tensor<30x20xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %m = arith.subf %p, %q : f32
    linalg.yield %m : f32
  } -> tensor<30x20xf32>
  return %z : tensor<30x20xf32>
}
