# Drawn by gnuplot from roles.dat: gnuplot THIS_FILE, in its directory.
set terminal pngcairo size 990,990 font 'sans-serif,8' fontscale 3.125 linewidth 3.4 pointscale 1.6
small = ',7'
set key spacing 1 width 0
set output 'roles.png'
data = 'roles.dat'
set grid xtics ytics linetype 1 linewidth 0.5 linecolor rgb '#dddddd'
set border 3 linewidth 0.7
set tics nomirror
set format x '%g'
set format y '%g'
set xrange [0:100]
set xtics 20
set yrange [10.5:0.5]
set grid noytics
set xlabel 'stored, % of the checkpoint'
set ytics noenhanced font small scale 0
set key bmargin center horizontal maxcols 2 Left reverse samplen 2 height 0.5 noenhanced
set style fill border rgb '#333333'
set lmargin at screen 0.47
plot \
  data using (0):2:(0):(0+$3):($2-0.36):($2+0.36):ytic(1) with boxxyerror fillstyle solid border rgb '#333333' linewidth 0.7 linecolor rgb '#0072B2' title 'weight  ', \
  data using (0+$3):2:(0+$3):(0+$3+$4):($2-0.36):($2+0.36):ytic(1) with boxxyerror fillstyle pattern 1 border rgb '#333333' linewidth 0.7 linecolor rgb '#D55E00' title 'adam_m  ', \
  data using (0+$3+$4):2:(0+$3+$4):(0+$3+$4+$5):($2-0.36):($2+0.36):ytic(1) with boxxyerror fillstyle pattern 2 border rgb '#333333' linewidth 0.7 linecolor rgb '#009E73' title 'adam_v  '
