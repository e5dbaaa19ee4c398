# Read by the nginx scripts.
need nginx
version_is "$(nginx -v 2>&1)"

# nginx_run NAME PORT: one process with the server block on standard input.
nginx_run() {
    mkdir -p "$work/$1.nginx"
    cat >"$work/$1.conf" <<END
daemon off;
master_process off;
pid $work/$1.nginx/pid;
error_log stderr info;
events { worker_connections 64; }
http {
    access_log off;
    client_max_body_size 16m;
    client_body_temp_path $work/$1.nginx/body;
    proxy_temp_path $work/$1.nginx/proxy;
    fastcgi_temp_path $work/$1.nginx/fastcgi;
    uwsgi_temp_path $work/$1.nginx/uwsgi;
    scgi_temp_path $work/$1.nginx/scgi;
$(cat)
}
END
    background "$1" nginx -e stderr -p "$work/$1.nginx" -c "$work/$1.conf"
    ready_port "$pid" "$2"
}
